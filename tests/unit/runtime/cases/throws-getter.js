// error: Error: { message: [Getter], name: [Getter] }
module.exports = {
  handler() {
    throw { get message() { throw new Error('no'); }, get name() { throw 1; } };
  },
};
