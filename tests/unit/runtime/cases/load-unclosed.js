// load-error: SyntaxError: Unexpected end of the code
// line: 5
// column: 35
async function handler() {
  if (true) { return { ok: true };

