// data: undefined
// meta: {"responded":true,"dataError":false}
module.exports = { handler(input, { publicApp }) { publicApp.respond(); return 5; } };
