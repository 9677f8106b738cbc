// Brings the page to life. Whatever this does, the page that the Server rendered can be read without it.

import { startActions } from "./actions.js";
import { startJob } from "./job.js";
import { startJobs } from "./jobs.js";
import { startKeys } from "./keys.js";
import { startLink } from "./link.js";
import { startTheme } from "./theme.js";
import { startTimes } from "./times.js";
import { startWorkers } from "./workers.js";

const VIEWS = { jobs: startJobs, job: startJob, workers: startWorkers, link: startLink };

document.documentElement.dataset.scripted = "";
startTheme();
startTimes();
startActions();
startKeys();
VIEWS[document.body.dataset.view]?.();
