// first: 41
// error: TypeError: this has no name
// line: 47
// column: 22
async function handler() {
  const error = await Promise.resolve(3).then(() => 4);
  throw new TypeError(`this has no name`);
}
module.exports = { handler };
