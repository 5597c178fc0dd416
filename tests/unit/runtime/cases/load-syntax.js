// load-error: SyntaxError: Unexpected token '='
// line: 5
// column: 13
async function handler() {
  const a = = 3;
}
module.exports = { handler };
