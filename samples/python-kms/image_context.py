#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""usage: image_context.py KMS_PROXY FOLDER

Prepares FOLDER for `docker build` or `buildah build` without a registry: this machine's Python (Debian's python3 and
python3-boto3), only what boto3 needs to talk to KMS, with casemate-kms-proxy and app.py. Files get one fixed time, so
that the same machine makes the same image.
"""

import os
import pathlib
import shutil
import subprocess
import sys

HERE = pathlib.Path(__file__).resolve().parent
DIST = pathlib.Path("/usr/lib/python3/dist-packages")
KEPT_SERVICES = {"kms", "sts"}
BOTO3 = ("import boto3\n"
         "try:\n"
         "    boto3.client('kms', region_name='us-east-1', endpoint_url='http://127.0.0.1:1', aws_access_key_id='a',\n"
         "                 aws_secret_access_key='b').decrypt(CiphertextBlob=b'1')\n"
         "except Exception:\n"
         "    pass\n")
LIST = "import sys\nprint(*sorted({m.split('.')[0] for m, v in sys.modules.items() if '/dist-packages/' in (getattr(v, '__file__', '') or '')}))\n"


def loaded_packages(program):
    """What the program has imported from outside the standard library."""
    env = dict(os.environ, AWS_MAX_ATTEMPTS="1", AWS_CONFIG_FILE="/dev/null", AWS_SHARED_CREDENTIALS_FILE="/dev/null", AWS_EC2_METADATA_DISABLED="true")
    return subprocess.run(["/usr/bin/python3", "-c", program + LIST], env=env, check=True, capture_output=True, text=True).stdout.splitlines()[-1].split()


def copy_with_libraries(root, files):
    """Copies programs and shared objects with the libraries that ldd names."""
    todo = {pathlib.Path(path) for path in files}
    for path in files:
        for line in subprocess.run(["ldd", path], capture_output=True, text=True).stdout.splitlines():
            todo.update(pathlib.Path(word) for word in line.split() if word.startswith("/"))
    for path in todo:
        target = root / path.relative_to("/")
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, target)


def data_of_other_services(folder, names):
    if pathlib.Path(folder).name != "data":
        return {name for name in names if name in ("__pycache__", "examples", "tests")}
    return {name for name in names if (pathlib.Path(folder) / name).is_dir() and name not in KEPT_SERVICES}


def python_root(root, program=BOTO3):
    """Fills `root` with Python, its standard library and the packages that the program imports."""
    python = os.path.realpath("/usr/bin/python3")
    library = pathlib.Path("/usr/lib") / pathlib.Path(python).name
    unwanted = shutil.ignore_patterns("__pycache__", "test", "tests", "idlelib", "tkinter", "lib2to3", "ensurepip", "config-*", "dist-packages", "pydoc_data")
    shutil.copytree(library, root / library.relative_to("/"), ignore=unwanted, symlinks=False, ignore_dangling_symlinks=True)
    objects = [python, *library.glob("lib-dynload/*.so")]
    for name in loaded_packages(program):
        target = root / DIST.relative_to("/") / name
        target.parent.mkdir(parents=True, exist_ok=True)
        if (DIST / name).is_dir():
            shutil.copytree(DIST / name, target, ignore=data_of_other_services)
            objects += (DIST / name).rglob("*.so")
        for file in [*DIST.glob(name + ".py"), *DIST.glob(name + ".*.so")]:
            shutil.copy(file, target.parent / file.name)
            if file.suffix == ".so":
                objects.append(file)
    # OpenSSL's providers, which awscrt loads by name.
    objects += pathlib.Path("/usr/lib").glob("*-linux-gnu/ossl-modules/*.so")
    copy_with_libraries(root, [str(path) for path in objects])
    (root / "usr/bin").mkdir(parents=True, exist_ok=True)
    (root / "usr/bin/python3").symlink_to(pathlib.Path(python).name)


def finish(folder, root, kms_proxy, command):
    """Adds the proxy, trust and a Dockerfile; `command` is what the proxy starts."""
    certificates = root / "etc/ssl/certs/ca-certificates.crt"
    certificates.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy(os.environ.get("CA_BUNDLE", "/etc/ssl/certs/ca-certificates.crt"), certificates)
    (root / "tmp").mkdir(exist_ok=True)
    shutil.copy(kms_proxy, root / "casemate-kms-proxy")
    words = ", ".join(f'"{word}"' for word in ["/casemate-kms-proxy", "--", *command])
    (folder / "Dockerfile").write_text(f"FROM scratch\nCOPY root /\nENV PYTHONDONTWRITEBYTECODE=1\nCMD [{words}]\n")
    for path in [*folder.rglob("*"), folder]:
        os.utime(path, (0, 0), follow_symlinks=False)


def main():
    if len(sys.argv) != 3:
        sys.exit(__doc__.splitlines()[0])
    folder = pathlib.Path(sys.argv[2])
    root = folder / "root"
    root.mkdir(parents=True)
    python_root(root)
    shutil.copy(HERE / "app.py", root / "app.py")
    finish(folder, root, sys.argv[1], ["/usr/bin/python3", "/app.py"])


if __name__ == "__main__":
    main()
