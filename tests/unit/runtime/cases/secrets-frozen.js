// data: ["s3cret",true]
module.exports = {
  handler(input, { secrets }) {
    secrets.KEY = 'other';
    return [secrets.KEY, Object.isFrozen(secrets)];
  },
};
