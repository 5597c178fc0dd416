// load-error: SyntaxError: Unexpected end of the code
async function handler() { /* no end
}
module.exports = { handler };
