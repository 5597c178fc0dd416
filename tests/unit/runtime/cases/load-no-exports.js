// load-error: TypeError: module.exports.handler is not a function
module.exports = null;
