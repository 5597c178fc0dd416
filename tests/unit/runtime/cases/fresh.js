// fresh
// data: {"n":1}
// log: ["log","loaded"]
// log: ["log","loaded"]
let n = 0;
console.log('loaded');
module.exports = { handler: () => ({ n: ++n }) };
