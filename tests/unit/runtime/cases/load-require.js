// load-error: ReferenceError: Can't find variable: require
// line: 3
const fs = require('fs');
module.exports = { handler() {} };
