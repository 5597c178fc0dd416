// error: TypeError: null is not an object
// line: 6
// log: ["warn","before"]
function dig(value) {
  console.warn('before');
  return value.deep.deeper;
}
async function handler() {
  return dig({ deep: null });
}
module.exports = { handler };
