// data: undefined
module.exports = { async handler() {} };
