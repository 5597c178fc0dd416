// load-error: TypeError: undefined is not an object
// line: 5
function setUp(options) {
  const map = new Map();
  return options.name.length + map.size;
}
setUp({});
module.exports = { handler() {} };
