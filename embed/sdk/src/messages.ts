// What travels between a host page and ours: {type, data} (docs/embedding.md). Both sides read it here.

export interface VendorInit {
    jwtToken: string;
    initialRoute?: string;
    sdkVersion?: string;
    locale?: string;
    mode?: string;
    fontUrl?: string;
    fontFamily?: string;
    prefix?: string;
    hideSidebar?: boolean;
    hideFolders?: boolean;
    hideLogoInBuilder?: boolean;
    hideFlowNameInBuilder?: boolean;
    disableNavigationInBuilder?: boolean | 'keep_home_button_only';
    emitHomeButtonClickedEvent?: boolean;
    homeButtonIcon?: string;
}

export interface Refusal {
    code: string;
    message: string;
    status: number;
}

export interface FromVendor {
    VENDOR_INIT: VendorInit;
    VENDOR_ROUTE_CHANGED: { vendorRoute: string };
    VENDOR_TOKEN_UPDATED: { jwtToken: string };
}

export interface FromClient {
    CLIENT_INIT: {};
    CLIENT_AUTHENTICATION_SUCCESS: {};
    CLIENT_AUTHENTICATION_FAILED: Refusal;
    CLIENT_CONFIGURATION_FINISHED: {};
    CLIENT_ROUTE_CHANGED: { route: string; replace?: boolean };
    CLIENT_BUILDER_HOME_BUTTON_CLICKED: { route: string };
    CLIENT_SHOW_CONNECTION_IFRAME: {};
    CLIENT_NEW_CONNECTION_DIALOG_CLOSED: { connection?: { id: string; name: string } };
    CLIENT_CONNECTION_PIECE_NOT_FOUND: { error: string };
    CLIENT_SESSION_EXPIRING: { expiresAt: string };
    CLIENT_SESSION_EXPIRED: { expiresAt: string };
}

/** The dialog's route: what to connect stands in its query. */
export const CONNECT_ROUTE = '/embed/connections';
export const CONNECT_PIECE = 'pieceName';
export const CONNECT_NAME = 'connectionName';
