// Package render shows what Device Defender found: as text for a terminal and
// as HTML pages. It is pure: a caller fills a view model (model.go), and one
// Write function puts it on a writer. Nothing is read, fetched or looked up
// here, and the package knows neither AWS's shapes nor our own documents.
//
// # Text
//
// Plots are drawn by asciigraph, with the threshold dashed, the alarm period
// drawn heavy and named on a line of its own, and gaps where no report came:
// nothing is told by colour alone, and there is no colour unless asked for.
//
// # HTML
//
// A page is one file: style, script and plots are inline, nothing is fetched,
// and a Content-Security-Policy in the page itself forbids everything else.
// Plots are SVG by gonum.org/v1/plot, whose fixed colours are replaced by
// classes so that they follow the light or dark scheme. Each plot exists in a
// wide and a narrow drawing, of which the style shows the one that is legible,
// and has its values as a table too. Without the script the page says the
// same; the script adds values under the pointer or the arrow keys, and zoom.
//
// With About.Live the same pages are those of a running service: names become
// links (see ThingLink and its like), and a second script, inline too, follows
// the event stream at EventsPath and exchanges the page's main element,
// keeping what the reader has opened, focused or zoomed. The service serves
// the pages with the header Policy.
//
// # Hostile text
//
// Names and values come from devices. Everything that a view model carries
// goes through Clean before it is escaped for HTML or written to a terminal:
// control characters, escape sequences, invisible and direction-changing
// characters are shown as \u{...}, and what is overlong is cut.
package render
