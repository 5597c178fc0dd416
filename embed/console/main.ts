(window.opener ?? window.parent).postMessage({ type: 'CLIENT_INIT', data: {} }, '*');
