# Keeps what Python compiles of the archives that Ansible sends: it sends one for each task, and Python compiles all of it
# each time, which takes half of a task's processor time.
import _imp
import marshal
import os
import zipimport

KEPT = "/var/cache/ansible-modules"
compile_source = zipimport._compile_source


def kept(path, source):
    file = f"{KEPT}/{_imp.source_hash(1, source).hex()}"
    try:
        with open(file, "rb") as known:
            return marshal.load(known)
    except FileNotFoundError:
        code = compile_source(path, source)
    os.makedirs(KEPT, exist_ok=True)
    with open(f"{file}.{os.getpid()}", "wb") as new:
        marshal.dump(code, new)
    os.rename(new.name, file)
    return code


zipimport._compile_source = kept
