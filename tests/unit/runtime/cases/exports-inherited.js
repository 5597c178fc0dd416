// export: toString
// error: TypeError: module.exports.toString is not a function
module.exports = { handler() {} };
