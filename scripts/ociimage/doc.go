// Package ociimage writes a container image of one static binary without a
// container engine.
//
// The image of device-defender is one layer, as from
//
//	FROM scratch
//	COPY device-defender LICENSE THIRD_PARTY_NOTICES sbom.cdx.json /
//
// and its file system is
//
//	/device-defender       0755, root's
//	/LICENSE               0644, root's, as all documents of [Image]
//	/THIRD_PARTY_NOTICES
//	/sbom.cdx.json
//	/state                 0700, [User]'s, empty: the working directory
//
// That of another [Program] has its binary in that place.
//
// A volume that is mounted on /state takes over the folder's owner, and so can
// be written without root and with the image itself read-only.
//
// The file is an OCI image layout in a tar, plus the manifest.json that docker
// load wants: all versions of Docker, Podman, containerd and skopeo take it,
// from a gzip'ed file too. The same [Image] gives the same bytes.
package ociimage
