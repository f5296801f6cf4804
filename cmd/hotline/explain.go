package main

import (
	"errors"
	"fmt"
	"net"
	"os"
	"syscall"
)

// listenFault says in both languages what a person can do when an address
// cannot be taken: the most common first fault of a newcomer.
func listenFault(what, addr, flag string, err error) error {
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		return fmt.Errorf("%s 地址 %s 已被占用，请停止占用它的程序，或用 %s 换一个端口 / %s address %s is taken; stop the program that holds it or choose another port with %s", what, addr, flag, what, addr, flag)
	case errors.Is(err, syscall.EACCES):
		return fmt.Errorf("无权监听 %s 地址 %s，1024 以下端口需要管理员权限 / no permission to listen on %s address %s; ports below 1024 need root", what, addr, what, addr)
	case errors.Is(err, syscall.EADDRNOTAVAIL):
		return fmt.Errorf("本机没有 %s 地址 %s / this machine has no address %s (%s)", what, addr, addr, what)
	}
	if dns, ok := errors.AsType[*net.DNSError](err); ok {
		return fmt.Errorf("%s 地址 %s 无法解析 / cannot resolve %s: %w", what, addr, dns.Name, err)
	}
	return fmt.Errorf("listen on %s address %s: %w", what, addr, err)
}

// writableDir makes the folder and tells plainly when that is not allowed.
func writableDir(dir string) error {
	if err := os.MkdirAll(dir, 0o711); err != nil {
		if errors.Is(err, os.ErrPermission) {
			return fmt.Errorf("没有写入目录 %s 的权限，请用 --data-dir 换一个 / no permission to write to %s; choose another folder with --data-dir", dir, dir)
		}
		return fmt.Errorf("make data folder %s: %w", dir, err)
	}
	probe, err := os.CreateTemp(dir, ".write-*")
	if err != nil {
		return fmt.Errorf("没有写入目录 %s 的权限，请用 --data-dir 换一个 / no permission to write to %s; choose another folder with --data-dir", dir, dir)
	}
	name := probe.Name()
	return errors.Join(probe.Close(), os.Remove(name))
}
