// stoa-embed.js: window.stoa, and the name that hosts of another SDK know, when nobody has it.
import { stoa, StoaEmbedError } from './index';

const isFree = (name: string): boolean => !Object.prototype.hasOwnProperty.call(window, name);

if (isFree('stoa')) window.stoa = Object.assign(stoa, { StoaEmbedError });
if (isFree('activepieces')) {
    const { configure, navigate, connect, request, extractRouteFromUrl } = stoa;
    window.activepieces = { configure, navigate, connect, request, extractActivepiecesRouteFromUrl: extractRouteFromUrl };
}
