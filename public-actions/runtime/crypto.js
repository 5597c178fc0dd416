(function (own) {
})
