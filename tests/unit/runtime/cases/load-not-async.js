// load-error: SyntaxError: Unexpected identifier 'context'
// line: 5
// column: 16
function handler(input, context) {
  return await context.fetch('https://a.example');
}
module.exports = { handler };
