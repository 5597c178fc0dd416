// load-error: SyntaxError: Unterminated string
// line: 5
// column: 13
async function handler() {
  const a = 'it
  return a;
}
module.exports = { handler };
