# enter 2 cgroups, whose limits are set already
for group in $CGROUPS; do echo $$ > "$group/cgroup.procs"; done
# join the node's network namespace, and without root the user namespace that owns it
nsenter --user=$NODE_USER --net=$NODE_NET
# make the other namespaces: cgroup, IPC, host name, mounts, processes
unshare --cgroup --ipc --uts --mount --propagation private --pid --fork
# work below /run/lab/containers/web/work, following no links
cd /run/lab/containers/web/work
# make the folder /0
mkdir -m 700 /run/lab/containers/web/work/0
# make the folder /1
mkdir -m 700 /run/lab/containers/web/work/1
# make the folder /2
mkdir -m 700 /run/lab/containers/web/work/2
# make the folder /3
mkdir -m 700 /run/lab/containers/web/work/3
# work below /run/lab/containers/web/upper, following no links
cd /run/lab/containers/web/upper
# make the folder /proc
mkdir -m 755 /run/lab/containers/web/upper/proc
# make the folder /sys
mkdir -m 755 /run/lab/containers/web/upper/sys
# make the folder /dev
mkdir -m 755 /run/lab/containers/web/upper/dev
# make the folder /mnt
mkdir -m 755 /run/lab/containers/web/upper/mnt
# make the folder /tmp
mkdir -m 1777 /run/lab/containers/web/upper/tmp
# link /bin
ln -s usr/bin /run/lab/containers/web/upper/bin
# make the folder /etc, with the mode of /etc
mkdir -m 755 /run/lab/containers/web/upper/etc
# make the folder /home, with the mode of /home
mkdir -m 755 /run/lab/containers/web/upper/home
# make the folder /srv, with the mode of /srv
mkdir -m 755 /run/lab/containers/web/upper/srv
# make the folder /srv/data, with the mode of /srv/data
mkdir -m 755 /run/lab/containers/web/upper/srv/data
# make the folder /srv/own, with the mode of /srv/own
mkdir -m 755 /run/lab/containers/web/upper/srv/own
# make the folder /usr, with the mode of /usr
mkdir -m 755 /run/lab/containers/web/upper/usr
# make the folder /srv/a b, with the mode of /srv/a b
mkdir -m 755 '/run/lab/containers/web/upper/srv/a b'
# write /etc/hosts, 14 bytes
printf %s '10.0.0.10	web
' > /run/lab/containers/web/upper/etc/hosts
# write /etc/hostname, 4 bytes
printf %s 'web
' > /run/lab/containers/web/upper/etc/hostname
# write /etc/resolv.conf, 0 bytes
printf %s '' > /run/lab/containers/web/upper/etc/resolv.conf
# write /srv/a b/index.html, 8 bytes
printf %s 'it'\''s me
' > '/run/lab/containers/web/upper/srv/a b/index.html'
# show /run/lab/containers/web/upper at /run/lab/containers/web/root
mount --bind /run/lab/containers/web/upper /run/lab/containers/web/root && mount -o remount,bind,nodev /run/lab/containers/web/root
# work below /run/lab/containers/web/root, following no links
cd /run/lab/containers/web/root
# mount overlay on /etc
mount -t overlay -o nodev,lowerdir=/etc,upperdir=/run/lab/containers/web/upper/etc,workdir=/run/lab/containers/web/work/0 overlay /run/lab/containers/web/root/etc
# mount overlay on /srv/data
mount -t overlay -o nodev,lowerdir=/srv/data,upperdir=/run/lab/containers/web/upper/srv/data,workdir=/run/lab/containers/web/work/1 overlay /run/lab/containers/web/root/srv/data || true
# mount overlay on /srv/own
mount -t overlay -o nodev,lowerdir=/srv/own,upperdir=/run/lab/containers/web/upper/srv/own,workdir=/run/lab/containers/web/work/2 overlay /run/lab/containers/web/root/srv/own
# mount overlay on /usr
mount -t overlay -o nodev,lowerdir=/usr,upperdir=/run/lab/containers/web/upper/usr,workdir=/run/lab/containers/web/work/3 overlay /run/lab/containers/web/root/usr
# mount proc on /proc
mount -t proc -o nosuid,nodev,noexec proc /run/lab/containers/web/root/proc
# mount sysfs on /sys
mount -t sysfs -o ro,nosuid,nodev,noexec sysfs /run/lab/containers/web/root/sys
# mount tmpfs on /sys/fs/cgroup
mount -t tmpfs -o nosuid,nodev,noexec,mode=755,size=64k tmpfs /run/lab/containers/web/root/sys/fs/cgroup || true
# make the folder /sys/fs/cgroup/memory
mkdir -m 755 /run/lab/containers/web/root/sys/fs/cgroup/memory || true
# mount cgroup on /sys/fs/cgroup/memory
mount -t cgroup -o ro,nosuid,nodev,noexec,memory cgroup /run/lab/containers/web/root/sys/fs/cgroup/memory || true
# make the folder /sys/fs/cgroup/unified
mkdir -m 755 /run/lab/containers/web/root/sys/fs/cgroup/unified || true
# mount cgroup2 on /sys/fs/cgroup/unified
mount -t cgroup2 -o ro,nosuid,nodev,noexec cgroup2 /run/lab/containers/web/root/sys/fs/cgroup/unified || true
# make /sys/fs/cgroup read-only
mount --rbind /run/lab/containers/web/root/sys/fs/cgroup /run/lab/containers/web/root/sys/fs/cgroup && mount -o remount,bind,ro /run/lab/containers/web/root/sys/fs/cgroup
# hide /proc/acpi
mount --bind /dev/null /run/lab/containers/web/root/proc/acpi # or an empty read-only tmpfs
# hide /proc/asound
mount --bind /dev/null /run/lab/containers/web/root/proc/asound # or an empty read-only tmpfs
# hide /proc/interrupts
mount --bind /dev/null /run/lab/containers/web/root/proc/interrupts # or an empty read-only tmpfs
# hide /proc/kcore
mount --bind /dev/null /run/lab/containers/web/root/proc/kcore # or an empty read-only tmpfs
# hide /proc/keys
mount --bind /dev/null /run/lab/containers/web/root/proc/keys # or an empty read-only tmpfs
# hide /proc/latency_stats
mount --bind /dev/null /run/lab/containers/web/root/proc/latency_stats # or an empty read-only tmpfs
# hide /proc/sched_debug
mount --bind /dev/null /run/lab/containers/web/root/proc/sched_debug # or an empty read-only tmpfs
# hide /proc/scsi
mount --bind /dev/null /run/lab/containers/web/root/proc/scsi # or an empty read-only tmpfs
# hide /proc/timer_list
mount --bind /dev/null /run/lab/containers/web/root/proc/timer_list # or an empty read-only tmpfs
# hide /proc/timer_stats
mount --bind /dev/null /run/lab/containers/web/root/proc/timer_stats # or an empty read-only tmpfs
# hide /sys/devices/virtual/powercap
mount --bind /dev/null /run/lab/containers/web/root/sys/devices/virtual/powercap # or an empty read-only tmpfs
# hide /sys/firmware
mount --bind /dev/null /run/lab/containers/web/root/sys/firmware # or an empty read-only tmpfs
# make /proc/bus read-only
mount --rbind /run/lab/containers/web/root/proc/bus /run/lab/containers/web/root/proc/bus && mount -o remount,bind,ro /run/lab/containers/web/root/proc/bus
# make /proc/fs read-only
mount --rbind /run/lab/containers/web/root/proc/fs /run/lab/containers/web/root/proc/fs && mount -o remount,bind,ro /run/lab/containers/web/root/proc/fs
# make /proc/irq read-only
mount --rbind /run/lab/containers/web/root/proc/irq /run/lab/containers/web/root/proc/irq && mount -o remount,bind,ro /run/lab/containers/web/root/proc/irq
# make /proc/sys read-only
mount --rbind /run/lab/containers/web/root/proc/sys /run/lab/containers/web/root/proc/sys && mount -o remount,bind,ro /run/lab/containers/web/root/proc/sys
# make /proc/sysrq-trigger read-only
mount --rbind /run/lab/containers/web/root/proc/sysrq-trigger /run/lab/containers/web/root/proc/sysrq-trigger && mount -o remount,bind,ro /run/lab/containers/web/root/proc/sysrq-trigger
# mount tmpfs on /dev
mount -t tmpfs -o nosuid,strictatime,mode=755,size=64m tmpfs /run/lab/containers/web/root/dev
# make the device /dev/null
mknod -m 666 /run/lab/containers/web/root/dev/null c 1 3
# show /run/lab/containers/web/root/dev/null at /dev/null
mount --bind /run/lab/containers/web/root/dev/null /run/lab/containers/web/root/dev/null
# make the device /dev/zero
mknod -m 666 /run/lab/containers/web/root/dev/zero c 1 5
# show /run/lab/containers/web/root/dev/zero at /dev/zero
mount --bind /run/lab/containers/web/root/dev/zero /run/lab/containers/web/root/dev/zero
# make the device /dev/full
mknod -m 666 /run/lab/containers/web/root/dev/full c 1 7
# show /run/lab/containers/web/root/dev/full at /dev/full
mount --bind /run/lab/containers/web/root/dev/full /run/lab/containers/web/root/dev/full
# make the device /dev/random
mknod -m 666 /run/lab/containers/web/root/dev/random c 1 8
# show /run/lab/containers/web/root/dev/random at /dev/random
mount --bind /run/lab/containers/web/root/dev/random /run/lab/containers/web/root/dev/random
# make the device /dev/urandom
mknod -m 666 /run/lab/containers/web/root/dev/urandom c 1 9
# show /run/lab/containers/web/root/dev/urandom at /dev/urandom
mount --bind /run/lab/containers/web/root/dev/urandom /run/lab/containers/web/root/dev/urandom
# make the device /dev/tty
mknod -m 666 /run/lab/containers/web/root/dev/tty c 5 0
# show /run/lab/containers/web/root/dev/tty at /dev/tty
mount --bind /run/lab/containers/web/root/dev/tty /run/lab/containers/web/root/dev/tty
# no device opens in /dev but those
mount -o remount,bind,nosuid,nodev,strictatime /run/lab/containers/web/root/dev
# link /dev/ptmx
ln -s pts/ptmx /run/lab/containers/web/root/dev/ptmx
# link /dev/fd
ln -s /proc/self/fd /run/lab/containers/web/root/dev/fd
# link /dev/stdin
ln -s /proc/self/fd/0 /run/lab/containers/web/root/dev/stdin
# link /dev/stdout
ln -s /proc/self/fd/1 /run/lab/containers/web/root/dev/stdout
# link /dev/stderr
ln -s /proc/self/fd/2 /run/lab/containers/web/root/dev/stderr
# make the folder /dev/pts
mkdir -m 755 /run/lab/containers/web/root/dev/pts
# make the folder /dev/shm
mkdir -m 755 /run/lab/containers/web/root/dev/shm
# make the folder /dev/mqueue
mkdir -m 755 /run/lab/containers/web/root/dev/mqueue
# mount devpts on /dev/pts
mount -t devpts -o nosuid,noexec,newinstance,ptmxmode=0666,mode=0620,gid=5 devpts /run/lab/containers/web/root/dev/pts
# mount tmpfs on /dev/shm
mount -t tmpfs -o nosuid,nodev,noexec,mode=1777,size=64m tmpfs /run/lab/containers/web/root/dev/shm
# mount mqueue on /dev/mqueue
mount -t mqueue -o nosuid,nodev,noexec mqueue /run/lab/containers/web/root/dev/mqueue || true
# the host name is web
hostname web
# the base becomes the root, and the machine's tree is let go
cd /run/lab/containers/web/root && pivot_root . . && umount -l . && cd /
# a keyring of its own
keyctl new_session
# start the command; what stays is PID 1, which keeps the right to signal and nothing else
:
# no core files
ulimit -c 0
# keep 3 capabilities, none to inherit
setpriv --bounding-set -all,+chown,+net_bind_service,+net_raw --inh-caps=-all --ambient-caps=-all
# become user 0, group 0
setpriv --reuid 0 --regid 0 --clear-groups
# enter the working directory, which must lie inside and not in /proc
cd /srv
# close every file but 0, 1 and 2
exec 3>&- 4>&- # and so on
# no new privileges, not by setuid and not by file capabilities
setpriv --no-new-privs
# filter system calls: 192 instructions of BPF
:
# run the command
exec env -i PATH=/bin busybox httpd -f -h '/srv/a b'
# 5862 bytes, sha256 3efa2689bcb158820d39f991c579c9c8f83475a65bbf2d952bf300e6a071ef40
