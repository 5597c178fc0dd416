// data: {"error":true}
// meta: {"dataError":true,"resultError":true}
module.exports = { handler: () => ({ toJSON: () => ({ error: true }) }) };
