import { expect, test } from '@jest/globals';
import { brokenLinksOf, fileFor, linksOf } from '../../src/build/links.ts';

test('links are found in attributes, and resolved from the page that has them', () => {
  const html = `<a href="../b/?q#x">b</a><img src='c.png' srcset="d.png 1x, /e.png 2x">
    <a href="https://else.example/">out</a><a href="#top">up</a><a href="mailto:a@b">m</a>
    <script>const t = '<a href="/not-a-link">';</script><!-- <a href="/nor-this"> -->`;
  expect(linksOf('a/index.html', html)).toEqual(['/b/', '/a/c.png', '/a/d.png', '/e.png']);
});

test('a link to a directory is one to its page, and a link to what is missing is broken', () => {
  const paths = new Set(['index.html', 'about/index.html', 'x.css']);
  const page =
    '<a href="/about">a</a><a href="/about/">b</a><link href="x.css"><a href="/gone/">c</a>';
  expect(brokenLinksOf(new Map([['index.html', page]]), paths)).toEqual([
    { page: 'index.html', target: '/gone/' },
  ]);
  expect(fileFor('/', paths)).toBe('index.html');
});
