// Package finding is what Detect found, as those see it who ask: violations
// with their events, and values of metrics. Package cloud reads them through the
// AWS IoT API, package service from its own store. It is pure.
package finding
