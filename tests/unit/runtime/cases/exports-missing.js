// export: onWebhook
// error: TypeError: module.exports.onWebhook is not a function
module.exports = { handler() {} };
