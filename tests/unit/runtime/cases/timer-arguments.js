// data: ["TypeError","TypeError","number"]
module.exports = {
  handler: () => [() => setTimeout('code', 1), () => queueMicrotask(5)].map((f) => {
    try { return f(); } catch (error) { return error.name; }
  }).concat(typeof setTimeout(() => {}, 'x')),
};
