// error: Error: context.publicApp.respond was called before; the first answer stands
module.exports = {
  async handler(input, { publicApp }) {
    publicApp.respond({ toJSON() { publicApp.respond({ inner: true }); return { outer: true }; } });
  },
};
