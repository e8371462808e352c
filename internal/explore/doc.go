// Package explore turns what package cloud or the service read into what package
// render shows. The commands of defenderctl and the live pages of its service
// show the same because both go through here. It is pure.
package explore
