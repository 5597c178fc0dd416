// data: [{},true]
module.exports = {
  handler() {
    const target = {};
    const merge = (to, from) => { for (const k of Object.keys(from)) typeof from[k] === 'object' ? merge(to[k] ??= {}, from[k]) : to[k] = from[k]; };
    merge(target, JSON.parse('{"__proto__":{"isAdmin":true,"status":500,"then":1}}'));
    return [target, ({}).isAdmin === undefined];
  },
};
