// data: true
module.exports = { handler: async (input, c) => await c.files.get('nothing') === undefined };
