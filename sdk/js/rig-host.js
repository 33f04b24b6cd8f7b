/** The host's functions, as this runtime imports them. Kept apart so that a test in Node can put something else in their place. */
import config from "rig:pack/config@0.1.0";
import http from "rig:pack/http@0.1.0";
import log from "rig:pack/log@0.1.0";

export { config, http, log };
