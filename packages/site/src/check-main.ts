/** Checks the links of the built site: `node packages/site/src/check-main.ts docs/.vitepress/dist`. */
import { brokenLinksIn } from './built-site.ts';

const broken = brokenLinksIn(process.argv[2] ?? '');
for (const link of broken) process.stderr.write(`${link} leads nowhere\n`);
if (broken.length > 0) process.exitCode = 1;
