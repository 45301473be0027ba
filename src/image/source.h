// SPDX-License-Identifier: Apache-2.0
// Where images come from: a container engine, buildah's or Podman's storage, OCI layouts and archives, standard input.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "json/value.h"
#include "oci/image.h"
#include "os/file.h"

namespace casemate::image {

struct SourceOptions {
  std::string architecture;  // "amd64", "arm64"; empty: amd64 where there is a choice
  os::Path engine_socket;    // of the Docker API
  // Called with a line for the user: "Using the locally available Docker image...".
  std::function<void(std::string_view)> tell = [](std::string_view) {};
};

struct Source {
  std::unique_ptr<oci::Files> files;
  oci::Image image;
  std::string name;      // what the image is called: the URI up to the first colon, or the file's name
  json::Value inspect;   // the engine's description of the image, or one of the same shape made from its config
};

// open_source finds the image that `uri` names:
//   NAME[:TAG]               in the Docker engine; else in buildah's or Podman's storage; else pulled by the engine
//   oci:DIR[:TAG]            an OCI layout
//   oci-archive:FILE[:TAG]   one in a tar file, plain or compressed
//   docker-archive:FILE[:TAG]  what `docker save` writes
//   -                        either archive on standard input
// Errors: kNotFound (saying where was looked), kUnavailable, kMalformed, kUnsupported, kLimit.
Result<Source> open_source(const std::string& uri, const SourceOptions& options);

// describe says of an image what `docker inspect` would, as far as the image itself fixes it.
json::Value describe(const oci::Image& image);

// build_in_directory builds a Dockerfile and gives the image the name `uri`, by the Docker engine where one answers, by
// buildah otherwise. Errors: kNotFound (folder, or neither tool), kInternal (the build failed: the tool's last words).
Result<void> build_in_directory(const std::string& uri, const os::Path& directory, const SourceOptions& options);

// engine_socket_from_environment reads DOCKER_HOST; /var/run/docker.sock without. Errors: kUnsupported (not unix://).
Result<os::Path> engine_socket_from_environment();

}  // namespace casemate::image
