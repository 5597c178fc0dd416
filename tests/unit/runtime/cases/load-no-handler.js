// load-error: TypeError: module.exports.handler is not a function
exports.onUpload = async () => 1;
