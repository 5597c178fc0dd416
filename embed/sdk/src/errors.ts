export class StoaEmbedError extends Error {
    readonly code: string;
    readonly status: number;

    constructor(code: string, message: string, status = 0) {
        super(message);
        this.name = 'StoaEmbedError';
        this.code = code;
        this.status = status;
    }
}

/** What was thrown by code that is not ours, as an error of ours. */
export function asError(thrown: unknown, code: string): StoaEmbedError {
    return thrown instanceof StoaEmbedError ? thrown : new StoaEmbedError(code, String((thrown as Error)?.message ?? thrown));
}
