// data: {"list":[{"error":true}],"text":"\"error\":true"}
// meta: {"dataError":false,"resultError":false}
module.exports = { handler: () => ({ list: [{ error: true }], text: '"error":true' }) };
