// data: {"a":"\ufffd é 😀"}
module.exports = { handler: () => ({ a: JSON.rawJSON('"\ud800 é 😀"') }) };
