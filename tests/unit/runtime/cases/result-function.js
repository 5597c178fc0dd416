// data: undefined
module.exports = { handler: () => () => 1 };
