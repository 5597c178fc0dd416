// export: onUpload
// data: {"from":"onUpload","hasThis":true}
exports.handler = async function () {};
exports.onUpload = async function () { return { from: 'onUpload', hasThis: this === module.exports }; };
