// load-error: Error: setInterval cannot be used while the handler is being loaded
// line: 3
setInterval(() => {}, 60000);
module.exports = { handler() {} };
