// load-error: SyntaxError: The code closes more braces than it opens
}); (4, {
