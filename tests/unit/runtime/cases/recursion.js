// data: ["RangeError","RangeError","ok"]
module.exports = {
  handler() {
    const tried = (f) => { try { return f(); } catch (error) { return error.name; } };
    const deep = (n) => deep(n + 1) + 1;
    let nest = null;
    for (let i = 0; i < 60000; ++i)
      nest = { nest };
    return [tried(() => deep(0)), tried(() => JSON.stringify(nest)), 'ok'];
  },
};
