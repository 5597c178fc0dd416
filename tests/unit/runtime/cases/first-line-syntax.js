// first: 1000
// load-error: SyntaxError
// line: 1005
// column: 13
async function handler() {
  const a = ;
}
module.exports = { handler };
