// load-error: SyntaxError: Unexpected token '}'
// line: 4
// column: 35
module.exports = { handler() { } }};
