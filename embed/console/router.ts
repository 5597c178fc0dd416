// Routes and the views behind them. The address of the page itself never changes: steps in a frame's
// history would come between the host and its own back button.
import { localPath } from './options';

export interface Place {
    /** What the host is told: path and query as they were asked for. */
    route: string;
    path: string;
    query: URLSearchParams;
    params: string[];
}

export type View<Context> = (context: Context, place: Place) => void;
export type Routes<Context> = [pattern: RegExp, view: View<Context>][];

const HOME = '/apps';

/** Hosts of another product call apps flows. */
function canonical(path: string): string {
    const clean = path.replace(/\/+$/, '') || HOME;
    return clean.replace(/^\/flows(?=\/|$)/, HOME);
}

export class Router<Context> {
    place?: Place;

    constructor(private readonly routes: Routes<Context>, private readonly show: (view: View<Context>, place: Place) => void,
        private readonly tell: (route: string, replace: boolean) => void) {}

    /** Silent at the start: the host knows where it began. */
    go(wanted: string, { silent = false } = {}): void {
        const asked = localPath(wanted.startsWith('/') ? wanted : `/${wanted}`);
        const [view, place] = (asked && this.find(asked)) || this.find(HOME)!;
        this.place = place;
        this.show(view, place);
        if (!silent || place.route !== asked) this.tell(place.route, place.route !== asked);
    }

    private find(route: string): [View<Context>, Place] | undefined {
        const at = route.indexOf('?');
        const path = canonical(at < 0 ? route : route.slice(0, at));
        for (const [pattern, view] of this.routes) {
            const match = pattern.exec(path);
            if (match) return [view, { route, path, query: new URLSearchParams(at < 0 ? '' : route.slice(at)), params: match.slice(1).map(decode) }];
        }
        return undefined;
    }
}

function decode(part: string): string {
    try {
        return decodeURIComponent(part);
    } catch {
        return part;
    }
}
