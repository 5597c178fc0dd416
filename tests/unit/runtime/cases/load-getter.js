// load-error: Error: a getter's
// line: 4
module.exports = {
  get handler() { throw new Error("a getter's"); },
};
