document.addEventListener("DOMContentLoaded", () => {
  // Names for controls of the theme that have none, or one that differs from what they show.
  for (const one of document.querySelectorAll("nav summary")) one.setAttribute("aria-label", "Show or hide the pages below");
  for (const one of document.querySelectorAll("article summary[aria-label], .search-button-field")) one.removeAttribute("aria-label");
  // docutils gives the entries of a list of references a role that no list may hold any more.
  for (const one of document.querySelectorAll(".citation-list > .citation")) one.setAttribute("role", "listitem");
  // Sphinx sets the arguments of a signature as a list of definitions without terms.
  for (const one of document.querySelectorAll("dt.sig dl, dt.sig dd")) one.setAttribute("role", "none");
  // Pictures with several panels in a row stay readable on a narrow screen: they scroll (book.css).
  for (const one of document.querySelectorAll("article img")) {
    const mark = () => one.classList.toggle("wide", one.naturalWidth > 1.05 * one.naturalHeight);
    if (one.complete) mark(); else one.addEventListener("load", mark);
  }
});
