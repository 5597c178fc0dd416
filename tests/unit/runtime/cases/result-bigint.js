// error: TypeError: 
module.exports = { handler: () => ({ n: 5n }) };
